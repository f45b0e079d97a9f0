//! The goals, as the project set them: agreements 1, 2 and 7 are exact by definition, 3 to 5 have the
//! numbers below, 6 is shown and has none. Change them here and nowhere else.

/// Agreement 3: of the instants that we call proved, fewer than so many per cent wrong, per VM.
pub(crate) const PROVED_WRONG: f64 = 2.0;
/// Agreement 3: of the instants at which a user process runs and we name someone (proved or likely),
/// at least so many per cent right, per VM.
pub(crate) const NAMED_RIGHT: f64 = 92.0;
/// Agreement 3: of the instants at which the guest's kernel threads run or it idles, fewer than so many
/// per cent named as a process, per VM.
pub(crate) const KERNEL_WRONG: f64 = 5.0;
/// Agreement 3: a VM with fewer instants than this is shown and not judged.
pub(crate) const WHO_LEAST: i64 = 30;
/// Agreement 4: the CPU time of a process is off by less than so many per cent of the larger.
pub(crate) const TIME_ERROR: f64 = 3.0;
/// Agreement 4: processes with more than so many per cent of the guest's time are compared.
pub(crate) const TIME_SHARE: f64 = 1.0;
/// Agreement 5: macro-averaged recall, at least; and it must beat always saying timer.
pub(crate) const CAUSE_RECALL: f64 = 90.0;
/// Agreement 5: the folders on which its goal binds; elsewhere it is shown.
pub(crate) const CAUSE_FOLDERS: [&str; 3] = ["single-vm", "io", "two-vms-network"];
/// Agreement 5: classes with fewer periods are left out of the average.
pub(crate) const CAUSE_LEAST: i64 = 30;
/// Agreement 6: how far apart the same wake-up may be.
pub(crate) const WAKE_UP_NS: i64 = 1_000_000;
