#![no_main]

pillarbox_fuzz::program!(setup_autodiscover);
