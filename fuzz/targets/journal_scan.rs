#![no_main]

pillarbox_fuzz::program!(journal_scan);
