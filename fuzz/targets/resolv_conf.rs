#![no_main]

pillarbox_fuzz::program!(resolv_conf);
