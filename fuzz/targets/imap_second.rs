#![no_main]

pillarbox_fuzz::program!(imap_second, include_str!("../dictionaries/imap.dict"));
