#![no_main]

pillarbox_fuzz::program!(http_head, include_str!("../dictionaries/http.dict"));
