#![no_main]

pillarbox_fuzz::program!(addresses);
