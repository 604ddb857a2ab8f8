#![no_main]

pillarbox_fuzz::program!(imap_session, include_str!("../dictionaries/imap.dict"));
