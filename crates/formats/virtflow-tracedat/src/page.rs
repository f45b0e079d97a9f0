//! A page of the kernel's ring buffer (include/linux/ring_buffer.h, kernel/trace/ring_buffer.c).

use virtflow_tracefs::{ByteOrder, HeaderPage};

/// Above the length in a page's `commit`: events were lost before this page, and how many stands
/// behind its last record (`RB_MISSED_EVENTS`, `RB_MISSED_STORED`).
const MISSED: u64 = 1 << 31;
const MISSED_STORED: u64 = 1 << 30;
/// The length itself.
const LENGTH: u64 = (1 << 27) - 1;

/// Types of an entry above those that tell a record's length (`enum ring_buffer_type`).
const PADDING: u32 = 29;
const TIME_EXTEND: u32 = 30;
const TIME_STAMP: u32 = 31;
/// Bits of the time in an entry's first word.
const DELTA_BITS: u32 = 27;
/// An absolute time stamp lacks these bits, which the one before has (`TS_MSB`).
const STAMP_HIGH: u64 = 0xf8 << 56;

/// How pages are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) order: ByteOrder,
    pub(crate) header: HeaderPage,
    pub(crate) size: u32,
}

/// Events lost before a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    None,
    /// So many.
    Events(u64),
    /// An unknown number.
    Some,
}

/// What a page says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageHead {
    /// The time that its first entry's counts from.
    pub(crate) stamp: u64,
    /// The byte behind its last entry.
    pub(crate) end: usize,
    pub(crate) missed: Missed,
}

impl Layout {
    /// How many bytes of a page its head needs.
    pub(crate) const fn head_size(&self) -> usize {
        self.header.data
    }

    /// Reads the head of a page; `None` where it says that there is more in the page than fits.
    /// How many events were missed is only known of a whole page.
    pub(crate) fn head(&self, page: &[u8]) -> Option<PageHead> {
        let HeaderPage {
            timestamp,
            commit,
            commit_size,
            data,
            ..
        } = self.header;
        let stamp = self.order.u64(page, timestamp)?;
        let word = self.order.uint(page.get(commit..commit + commit_size)?)?;
        let end = data + usize::try_from(word & LENGTH).ok()?;
        if end > self.size as usize {
            return None;
        }
        let missed = if word & MISSED == 0 {
            Missed::None
        } else if word & MISSED_STORED == 0 {
            Missed::Some
        } else {
            let stored = page.get(end..end + commit_size);
            let count = stored.and_then(|bytes| self.order.uint(bytes));
            count.map_or(Missed::Some, Missed::Events)
        };
        Some(PageHead { stamp, end, missed })
    }

    /// Begins to read the records of a page.
    pub(crate) const fn records(&self, head: PageHead) -> Records {
        Records {
            at: self.header.data,
            end: head.end,
            stamp: head.stamp,
        }
    }
}

/// Where one is in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Records {
    at: usize,
    end: usize,
    /// The time stamp of the last record given.
    stamp: u64,
}

/// What came next in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A record: its first byte and the one behind it.
    Record { start: usize, end: usize },
    /// The page has no more.
    End,
    /// What stands at this byte cannot be an entry.
    Broken { at: usize },
}

impl Records {
    pub(crate) const fn stamp(&self) -> u64 {
        self.stamp
    }

    /// How far one has come.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// The next record of `page`.
    #[inline]
    pub(crate) fn next(&mut self, page: &[u8], order: ByteOrder) -> Next {
        loop {
            let at = self.at;
            if at + 4 > self.end {
                return Next::End;
            }
            let Some(word) = order.u32(page, at) else {
                return Next::Broken { at };
            };
            // Bit fields begin at the lowest bit on little-endian machines, else at the highest.
            let (kind, delta) = match order {
                ByteOrder::Little => (word & 0x1f, word >> 5),
                ByteOrder::Big => (word >> DELTA_BITS, word & ((1 << DELTA_BITS) - 1)),
            };
            let delta = u64::from(delta);
            let (start, end, next) = match kind {
                // The rest of the page was not used.
                PADDING if delta == 0 => return Next::End,
                TIME_EXTEND | TIME_STAMP => {
                    let Some(high) = order.u32(page, at + 4).filter(|_| at + 8 <= self.end) else {
                        return Next::Broken { at };
                    };
                    let time = (u64::from(high) << DELTA_BITS) | delta;
                    self.stamp = if kind == TIME_EXTEND {
                        self.stamp.wrapping_add(time)
                    } else {
                        absolute(time, self.stamp)
                    };
                    self.at = at + 8;
                    continue;
                }
                // The length follows, and counts itself.
                0 | PADDING => {
                    let length = order.u32(page, at + 4).unwrap_or(0) as usize;
                    if length < 4 {
                        return Next::Broken { at };
                    }
                    let end = at + 4 + length;
                    (at + 8, end, end.next_multiple_of(4))
                }
                words => {
                    let end = at + 4 + 4 * words as usize;
                    (at + 4, end, end)
                }
            };
            if end > self.end {
                return Next::Broken { at };
            }
            self.at = next;
            if kind == PADDING {
                // What was discarded keeps its time; 1 stands for none (kernel/trace/ring_buffer.c
                // `rb_event_discard`, `rb_read_data_buffer`).
                if delta != 1 {
                    self.stamp = self.stamp.wrapping_add(delta);
                }
                continue;
            }
            self.stamp = self.stamp.wrapping_add(delta);
            return Next::Record { start, end };
        }
    }
}

/// A time stamp of 59 bits after one of 64 (kernel/trace/ring_buffer.c `rb_fix_abs_ts`).
const fn absolute(low: u64, before: u64) -> u64 {
    let whole = low | (before & STAMP_HIGH);
    if before & STAMP_HIGH != 0 && whole < before {
        whole.wrapping_add(1 << 59)
    } else {
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::{self, Entry};
    use proptest::prelude::*;

    fn layout(order: ByteOrder, long: usize, size: u32) -> Layout {
        let header = HeaderPage {
            timestamp: 0,
            commit: 8,
            commit_size: long,
            data: 8 + long,
            data_size: size as usize - 8 - long,
        };
        Layout {
            order,
            header,
            size,
        }
    }

    fn page(layout: &Layout, stamp: u64, entries: &[Entry], missed: Missed) -> Vec<u8> {
        let shape = writer::Shape {
            order: layout.order,
            long: layout.header.commit_size,
            page_size: layout.size,
        };
        let missed = match missed {
            Missed::None => None,
            Missed::Some => Some(None),
            Missed::Events(count) => Some(Some(count)),
        };
        shape.page(stamp, entries, missed)
    }

    fn read(layout: &Layout, page: &[u8]) -> (Vec<(u64, Vec<u8>)>, Next) {
        let mut records = layout.records(layout.head(page).unwrap());
        let mut all = Vec::new();
        loop {
            match records.next(page, layout.order) {
                Next::Record { start, end } => {
                    all.push((records.stamp(), page[start..end].to_vec()))
                }
                end => return (all, end),
            }
        }
    }

    #[test]
    fn entries_of_every_sort_in_either_order() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            for long in [4, 8] {
                let layout = layout(order, long, 4096);
                let entries = [
                    Entry::Record(0, vec![1; 8]),
                    Entry::Record(5, vec![2; 120]),
                    Entry::Extend(1 << 40),
                    Entry::Record(1, vec![3; 4]),
                    Entry::Discarded(1, 12),
                    Entry::Discarded(7, 12),
                    Entry::Record(2, vec![4; 4]),
                    Entry::Stamp((1 << 50) + 3),
                    Entry::Record(0, vec![5; 4]),
                ];
                let page = page(&layout, 1_000, &entries, Missed::None);
                let (got, end) = read(&layout, &page);
                assert_eq!(end, Next::End);
                let long = 1_005 + (1 << 40);
                let times = [1_000, 1_005, long + 1, long + 10, (1 << 50) + 3];
                assert_eq!(got.iter().map(|r| r.0).collect::<Vec<_>>(), times);
                let sizes: Vec<_> = got.iter().map(|r| (r.1.len(), r.1[0])).collect();
                assert_eq!(sizes, [(8, 1), (120, 2), (4, 3), (4, 4), (4, 5)]);
            }
        }
    }

    #[test]
    fn what_was_missed_stands_in_the_head() {
        let layout = layout(ByteOrder::Little, 8, 4096);
        for missed in [Missed::None, Missed::Some, Missed::Events(98)] {
            let page = page(&layout, 7, &[Entry::Record(0, vec![0; 4])], missed);
            let head = layout.head(&page).unwrap();
            assert_eq!((head.stamp, head.end, head.missed), (7, 24, missed));
        }
        let mut page = page(&layout, 7, &[], Missed::None);
        page[8..10].copy_from_slice(&4081_u16.to_le_bytes());
        assert_eq!(layout.head(&page), None);
    }

    #[test]
    fn entries_that_cannot_be_end_the_page() {
        let layout = layout(ByteOrder::Little, 8, 4096);
        let good = Entry::Record(3, vec![0; 8]);
        for bad in [[0, 3], [0, 4000], [28, 0], [29 | 32, 0]] {
            let mut page = page(
                &layout,
                0,
                &[good.clone(), Entry::Record(0, vec![0; 4])],
                Missed::None,
            );
            page[28..32].copy_from_slice(&(bad[0] as u32).to_le_bytes());
            page[32..36].copy_from_slice(&(bad[1] as u32).to_le_bytes());
            let (got, end) = read(&layout, &page);
            assert_eq!((got.len(), end), (1, Next::Broken { at: 28 }), "{bad:?}");
        }
    }

    #[test]
    fn absolute_stamps_take_their_high_bits_from_the_one_before() {
        assert_eq!(absolute(5, 3), 5);
        assert_eq!(absolute(5, 1 << 59), (1 << 59) + 5);
        assert_eq!(absolute(5, (1 << 59) + 9), (2 << 59) + 5);
    }

    proptest! {
        #[test]
        fn no_page_panics_or_goes_on_for_ever(bytes in prop::collection::vec(any::<u8>(), 256..300)) {
            for order in [ByteOrder::Little, ByteOrder::Big] {
                let layout = layout(order, 8, 256);
                let Some(head) = layout.head(&bytes) else { continue };
                let mut records = layout.records(head);
                let mut steps = 0;
                while let Next::Record { start, end } = records.next(&bytes, order) {
                    prop_assert!(start <= end && end <= head.end);
                    steps += 1;
                    prop_assert!(steps < 100);
                }
            }
        }
    }
}
