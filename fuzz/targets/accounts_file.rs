#![no_main]

pillarbox_fuzz::program!(accounts_file);
