#![no_main]

pillarbox_fuzz::program!(message_recode);
