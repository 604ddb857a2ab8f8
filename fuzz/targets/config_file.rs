#![no_main]

pillarbox_fuzz::program!(config_file);
