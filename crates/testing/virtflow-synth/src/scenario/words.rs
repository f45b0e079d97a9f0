//! Dialects as words, for command lines.

use std::str::FromStr;

use virtflow_ctf::writer::{ByteOrder, Format, HeaderKind};

use super::{Dialect, Injection, Isa, Probe};
use crate::SynthError;

impl FromStr for Dialect {
    type Err = SynthError;

    /// Words apart by commas, each changing one thing of the test bed's dialect: `testbed`, `vmx`,
    /// `svm`, `old-names`, `posted`, `pti`, `pcid`, `shadow`, `no-probe`, `original-probe`, `stacks`,
    /// `no-nested-events`, `no-waking`, `stock`, `no-noise`, `contexts`, `big-endian`, `compact`, `tsc`,
    /// `freq=HZ`, `offset-s=SECONDS`, `offset=CYCLES`, `start=CYCLES`.
    fn from_str(text: &str) -> Result<Self, SynthError> {
        let mut dialect = Self::default();
        for word in text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            dialect
                .apply(word)
                .ok_or_else(|| SynthError::Word(word.to_owned()))?;
        }
        Ok(dialect)
    }
}

impl Dialect {
    fn apply(&mut self, word: &str) -> Option<()> {
        match word {
            "testbed" => *self = Self::default(),
            "vmx" => self.isa = Isa::Vmx,
            "svm" => self.isa = Isa::Svm,
            "old-names" => self.old_names = true,
            "posted" => self.injection = Injection::Posted,
            "pti" => self.pti = true,
            "pcid" => self.pcid = true,
            "shadow" => self.shadow = true,
            "no-probe" => self.probe = Probe::None,
            "original-probe" => self.probe = Probe::Original,
            "stacks" => self.stacks = true,
            "no-nested-events" => self.nested_events = false,
            "no-waking" => self.waking = false,
            "stock" => self.stock = true,
            "no-noise" => self.noise = false,
            "contexts" => self.contexts = true,
            "big-endian" => self.byte_order = ByteOrder::Big,
            "tsc" => self.tsc = true,
            "compact" => self.header = HeaderKind::Compact,
            "ctf2" => self.format = Format::Ctf2,
            _ => {
                let (name, value) = word.split_once('=')?;
                match name {
                    "freq" => self.set_frequency(value.parse().ok()?),
                    "offset-s" => self.clock_offset_s = value.parse().ok()?,
                    "offset" => self.clock_offset = value.parse().ok()?,
                    "start" => self.clock_start = value.parse().ok()?,
                    _ => return None,
                }
            }
        }
        Some(())
    }

    /// Another frequency; the default offset and start are kept in time by being moved to seconds.
    fn set_frequency(&mut self, freq: u64) {
        let default = Self::default();
        if self.clock_offset == default.clock_offset && freq != default.clock_freq {
            self.clock_offset_s = default.clock_offset / 1_000_000_000;
            self.clock_offset = 0;
        }
        self.clock_freq = freq;
    }
}
