#![no_main]

pillarbox_fuzz::program!(accounts_file, include_str!("../dictionaries/accounts.dict"));
