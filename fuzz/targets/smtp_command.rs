#![no_main]

pillarbox_fuzz::program!(smtp_command, include_str!("../dictionaries/smtp.dict"));
