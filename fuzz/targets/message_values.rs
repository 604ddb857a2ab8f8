#![no_main]

pillarbox_fuzz::program!(message_values, include_str!("../dictionaries/message.dict"));
