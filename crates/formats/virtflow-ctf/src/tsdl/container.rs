//! The metadata file: plain text, or packets of text (CTF 1.8 section 7.1), which also hold CTF 2's
//! JSON text sequence.

use crate::bits::ByteOrder;

const MAGIC: u32 = 0x75d1_1d57;
/// Bytes of a metadata packet's header.
const HEADER_LEN: usize = 37;

/// What a metadata file holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    /// The text.
    pub(crate) text: Vec<u8>,
    /// The byte order of the packets' headers, which is the trace's own.
    pub(crate) order: Option<ByteOrder>,
    /// The trace's identity as the packets give it.
    pub(crate) uuid: Option<[u8; 16]>,
}

/// Why the bytes are not a metadata file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) offset: usize,
    pub(crate) what: &'static str,
}

/// The text in the metadata file `file`.
pub(crate) fn contents(file: Vec<u8>) -> Result<Contents, Unreadable> {
    let Some(magic) = file.first_chunk::<4>() else {
        return Ok(Contents {
            text: file,
            order: None,
            uuid: None,
        });
    };
    if u32::from_le_bytes(*magic) == MAGIC {
        packets(&file, ByteOrder::Little)
    } else if u32::from_be_bytes(*magic) == MAGIC {
        packets(&file, ByteOrder::Big)
    } else {
        Ok(Contents {
            text: file,
            order: None,
            uuid: None,
        })
    }
}

fn packets(file: &[u8], order: ByteOrder) -> Result<Contents, Unreadable> {
    let mut text = Vec::new();
    let mut uuid = None;
    let mut at = 0;
    while at < file.len() {
        let wrong = |what| Unreadable { offset: at, what };
        let header = file[at..]
            .first_chunk::<HEADER_LEN>()
            .ok_or_else(|| wrong("a metadata packet is cut off inside its header"))?;
        let word = |i: usize| {
            let bytes = [header[i], header[i + 1], header[i + 2], header[i + 3]];
            match order {
                ByteOrder::Little => u32::from_le_bytes(bytes),
                ByteOrder::Big => u32::from_be_bytes(bytes),
            }
        };
        if word(0) != MAGIC {
            return Err(wrong("a metadata packet without its magic number"));
        }
        let (content, packet) = (word(24) as usize / 8, word(28) as usize / 8);
        let [compression, encryption, checksum, major, minor] =
            [header[32], header[33], header[34], header[35], header[36]];
        if compression != 0 || encryption != 0 || checksum != 0 {
            return Err(wrong(
                "compressed, encrypted or checksummed metadata is not read",
            ));
        }
        if !matches!((major, minor), (1, 8) | (2, 0)) {
            let what = "a metadata packet of a CTF version other than 1.8 and 2.0";
            return Err(wrong(what));
        }
        if content < HEADER_LEN || packet < content {
            return Err(wrong("a metadata packet with impossible sizes"));
        }
        let body = at
            .checked_add(content)
            .and_then(|end| file.get(at + HEADER_LEN..end))
            .ok_or_else(|| wrong("a metadata packet is cut off"))?;
        text.extend_from_slice(body);
        if uuid.is_none() {
            uuid = header[4..].first_chunk::<16>().copied();
        }
        at += packet;
    }
    Ok(Contents {
        text,
        order: Some(order),
        uuid,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(text: &[u8], padding: usize, big: bool) -> Vec<u8> {
        let word = |n: usize| {
            let n = u32::try_from(n).unwrap();
            if big {
                n.to_be_bytes()
            } else {
                n.to_le_bytes()
            }
        };
        let mut out = Vec::new();
        out.extend(word(MAGIC as usize));
        out.extend([7; 16]);
        out.extend(word(0));
        out.extend(word((text.len() + HEADER_LEN) * 8));
        out.extend(word((text.len() + HEADER_LEN + padding) * 8));
        out.extend([0, 0, 0, 1, 8]);
        out.extend(text);
        out.extend(vec![0; padding]);
        out
    }

    #[test]
    fn both_byte_orders_and_padding() {
        for big in [false, true] {
            let mut file = packet(b"trace ", 11, big);
            file.extend(packet(b"{};", 0, big));
            let got = contents(file).unwrap();
            assert_eq!(got.text, b"trace {};");
            assert_eq!(
                got.order,
                Some(if big {
                    ByteOrder::Big
                } else {
                    ByteOrder::Little
                })
            );
            assert_eq!(got.uuid, Some([7; 16]));
        }
    }

    #[test]
    fn plain_text() {
        assert_eq!(contents(b"/* CTF 1.8 */".to_vec()).unwrap().order, None);
        assert_eq!(contents(vec![]).unwrap().text, b"");
        assert_eq!(contents(b"\x1e{}".to_vec()).unwrap().text, b"\x1e{}");
    }

    #[test]
    fn cut_anywhere_is_an_error_with_its_offset() {
        let whole = packet(b"trace {};", 3, false);
        for len in 4..HEADER_LEN + 9 {
            let cut = contents(whole[..len].to_vec());
            assert!(
                matches!(cut, Err(Unreadable { offset: 0, .. })),
                "{len}: {cut:?}"
            );
        }
        let mut sizes = whole;
        sizes[24..28].fill(0xff);
        assert!(contents(sizes).is_err());
    }
}
