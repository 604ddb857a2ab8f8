#![no_main]

pillarbox_fuzz::program!(http_head);
