#![no_main]

pillarbox_fuzz::program!(smtp_client, include_str!("../dictionaries/smtp.dict"));
