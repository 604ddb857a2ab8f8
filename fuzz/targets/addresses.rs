#![no_main]

pillarbox_fuzz::program!(addresses, include_str!("../dictionaries/address.dict"));
