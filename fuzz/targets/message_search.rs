#![no_main]

pillarbox_fuzz::program!(message_search, include_str!("../dictionaries/imap.dict"));
