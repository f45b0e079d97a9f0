#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| virtflow_fuzz_bodies::perfdata(data));
