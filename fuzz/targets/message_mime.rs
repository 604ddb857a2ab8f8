#![no_main]

pillarbox_fuzz::program!(message_mime, include_str!("../dictionaries/message.dict"));
