#![no_main]

pillarbox_fuzz::program!(message_second, include_str!("../dictionaries/message.dict"));
