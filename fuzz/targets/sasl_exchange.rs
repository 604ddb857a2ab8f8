#![no_main]

pillarbox_fuzz::program!(sasl_exchange);
