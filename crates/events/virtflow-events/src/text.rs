//! Short strings kept inside an event, so that no event allocates.

use std::fmt;

/// At most `N` bytes of text, padded with NUL; longer text is cut at `N` bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text<const N: usize>([u8; N]);

/// A thread's name: 16 bytes with the final NUL (`TASK_COMM_LEN`, include/linux/sched.h).
pub type Comm = Text<16>;

impl<const N: usize> Text<N> {
    /// Takes the bytes up to the first NUL.
    pub fn new(bytes: &[u8]) -> Self {
        let mut text = [0; N];
        for (to, &from) in text.iter_mut().zip(bytes.iter().take_while(|&&b| b != 0)) {
            *to = from;
        }
        Self(text)
    }

    /// The text without its padding.
    pub fn as_bytes(&self) -> &[u8] {
        let end = self.0.iter().position(|&b| b == 0).unwrap_or(N);
        self.0.get(..end).unwrap_or_default()
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.first().is_none_or(|&b| b == 0)
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_and_trimmed() {
        assert_eq!(Comm::new(b"CPU 0/KVM\0junk").as_bytes(), b"CPU 0/KVM");
        assert_eq!(Text::<4>::new(b"abcdef").as_bytes(), b"abcd");
        assert!(Comm::new(b"").is_empty());
    }
}
