//! The goals. Agreements 1, 2 and 7 are exact by definition; the definition gives no numbers for the
//! others, so these are ours: change them here and nowhere else.

/// Agreement 3: of the instants that we call proved, at least so many per cent right, per VM.
pub(crate) const PROVED_RIGHT: f64 = 98.0;
/// Agreement 3: of all instants at which a user process runs, at least so many right (proved or likely).
pub(crate) const WHO_RIGHT: f64 = 90.0;
/// Agreement 3: of the instants at which the guest's kernel threads run or it idles, at most so many wrong.
pub(crate) const KERNEL_WRONG: f64 = 10.0;
/// Agreement 3: a VM with fewer instants than this is shown and not judged.
pub(crate) const WHO_LEAST: i64 = 30;
/// Agreement 4: the CPU time of a process is off by at most so many per cent of the larger.
pub(crate) const TIME_ERROR: f64 = 5.0;
/// Agreement 4: processes with more than so many per cent of the guest's time are compared.
pub(crate) const TIME_SHARE: f64 = 1.0;
/// Agreement 5: macro-averaged recall, at least; and it must beat always saying timer.
pub(crate) const CAUSE_RECALL: f64 = 80.0;
/// Agreement 5: classes with fewer periods are left out of the average.
pub(crate) const CAUSE_LEAST: i64 = 30;
/// Agreement 6: precision and recall, at least.
pub(crate) const WAKE_UPS: f64 = 80.0;
/// Agreement 6: how far apart the same wake-up may be.
pub(crate) const WAKE_UP_NS: i64 = 1_000_000;
