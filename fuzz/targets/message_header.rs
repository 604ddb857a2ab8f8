#![no_main]

pillarbox_fuzz::program!(message_header, include_str!("../dictionaries/message.dict"));
