#![no_main]

pillarbox_fuzz::program!(smtp_second, include_str!("../dictionaries/smtp.dict"));
