#![no_main]

pillarbox_fuzz::program!(imap_frame, include_str!("../dictionaries/imap.dict"));
