#![no_main]

pillarbox_fuzz::program!(smtp_data, include_str!("../dictionaries/smtp.dict"));
