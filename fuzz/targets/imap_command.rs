#![no_main]

pillarbox_fuzz::program!(imap_command, include_str!("../dictionaries/imap.dict"));
