#![no_main]

pillarbox_fuzz::program!(control_line);
