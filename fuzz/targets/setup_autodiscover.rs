#![no_main]

pillarbox_fuzz::program!(setup_autodiscover, include_str!("../dictionaries/xml.dict"));
