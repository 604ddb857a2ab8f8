#![no_main]

pillarbox_fuzz::program!(smtp_command);
