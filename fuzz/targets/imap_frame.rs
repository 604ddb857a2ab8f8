#![no_main]

pillarbox_fuzz::program!(imap_frame);
