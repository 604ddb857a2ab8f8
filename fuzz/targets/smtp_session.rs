#![no_main]

pillarbox_fuzz::program!(smtp_session, include_str!("../dictionaries/smtp.dict"));
