//! What is told of a disk's request that ended badly.
//!
//! Kernels since 5.16 or so give the tracepoint block_rq_complete a status of the block layer, earlier
//! ones the errno; the kernel's own event has the errno either way.

use rustix::io::Errno;

/// A status that has an errno: its number (include/linux/blk_types.h) until Linux 6.9 and since, where
/// it is there, and what it becomes (block/blk-core.c `blk_errors`).
const STATUSES: &[(Option<u8>, Option<u8>, Errno)] = &[
    (Some(1), Some(1), Errno::OPNOTSUPP),     // BLK_STS_NOTSUPP
    (Some(2), Some(2), Errno::TIMEDOUT),      // BLK_STS_TIMEOUT
    (Some(3), Some(3), Errno::NOSPC),         // BLK_STS_NOSPC
    (Some(4), Some(4), Errno::NOLINK),        // BLK_STS_TRANSPORT
    (Some(5), Some(5), Errno::REMOTEIO),      // BLK_STS_TARGET
    (Some(6), Some(6), Errno::BADE),          // BLK_STS_RESV_CONFLICT, before BLK_STS_NEXUS
    (Some(7), Some(7), Errno::NODATA),        // BLK_STS_MEDIUM
    (Some(8), Some(8), Errno::ILSEQ),         // BLK_STS_PROTECTION
    (Some(9), Some(9), Errno::NOMEM),         // BLK_STS_RESOURCE
    (Some(10), Some(10), Errno::IO),          // BLK_STS_IOERR
    (Some(11), Some(11), Errno::REMCHG),      // BLK_STS_DM_REQUEUE
    (Some(12), Some(12), Errno::AGAIN),       // BLK_STS_AGAIN
    (Some(13), Some(13), Errno::BUSY),        // BLK_STS_DEV_RESOURCE
    (Some(15), Some(14), Errno::TOOMANYREFS), // BLK_STS_ZONE_OPEN_RESOURCE
    (Some(16), Some(15), Errno::OVERFLOW),    // BLK_STS_ZONE_ACTIVE_RESOURCE
    (Some(17), Some(16), Errno::NODEV),       // BLK_STS_OFFLINE
    (Some(18), Some(17), Errno::TIME),        // BLK_STS_DURATION_LIMIT
    (None, Some(19), Errno::INVAL),           // BLK_STS_INVAL
];

/// The number of a kernel's enumeration that came when the zones' status 14 went and those after it
/// moved up, in Linux 6.10 (include/linux/blk_types.h).
pub(crate) const MOVED: &str = "BIO_ZONE_WRITE_PLUGGING";

/// What each status becomes, as the kernel's `blk_status_to_errno` has it: 0 for numbers in between
/// that are no status, an I/O error for those behind the last one.
pub(crate) fn errnos(have_moved: bool) -> [i32; 256] {
    let number = |before, since| if have_moved { since } else { before };
    let numbers = STATUSES
        .iter()
        .filter_map(|(before, since, _)| number(*before, *since));
    let last = numbers.max().unwrap_or(0);
    let mut all = [0; 256];
    for (status, errno) in (0..=u8::MAX).zip(&mut all) {
        let known = STATUSES
            .iter()
            .find(|(before, since, _)| number(*before, *since) == Some(status));
        *errno = match known {
            Some((.., errno)) => -errno.raw_os_error(),
            None if status > last => -Errno::IO.raw_os_error(),
            None => 0,
        };
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of include/uapi/asm-generic/errno.h.
    #[test]
    fn a_status_becomes_the_errno_of_the_kernels_own_event() {
        let (before, since) = (errnos(false), errnos(true));
        let both = [
            0, -95, -110, -28, -67, -121, -52, -61, -84, -12, -5, -78, -11, -16,
        ];
        assert_eq!((&before[..14], &since[..14]), (&both[..], &both[..]));
        assert_eq!(before[14..20], [0, -109, -75, -19, -62, -5]);
        assert_eq!(since[14..21], [-109, -75, -19, -62, 0, -22, -5]);
        assert_eq!((before[255], since[255]), (-5, -5));
    }
}
