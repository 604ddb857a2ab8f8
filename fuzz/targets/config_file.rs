#![no_main]

pillarbox_fuzz::program!(config_file, include_str!("../dictionaries/toml.dict"));
