#![no_main]

pillarbox_fuzz::program!(message_recode, include_str!("../dictionaries/message.dict"));
