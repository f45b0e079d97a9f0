//! Bytes of a trace as text.

/// Bytes as text: UTF-8 as it is, every other byte and every control character as `\xNN`.
pub fn text(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(bytes.len());
    // Writing to a string does not fail.
    let hex = |out: &mut String, byte: u8| {
        let _ = write!(out, "\\x{byte:02X}");
    };
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                c.encode_utf8(&mut [0; 4])
                    .bytes()
                    .for_each(|b| hex(&mut out, b));
            } else {
                out.push(c);
            }
        }
        chunk.invalid().iter().for_each(|&b| hex(&mut out, b));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn what_is_not_text_is_shown_as_bytes() {
        assert_eq!(text(b"CPU 0/KVM"), "CPU 0/KVM");
        assert_eq!(text(b"a\xffb\n"), "a\\xFFb\\x0A");
        assert_eq!(text("é".as_bytes()), "é");
    }
}
