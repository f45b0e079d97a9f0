//! Which traces a command is about.

use crate::args::UsageError;
use clap::Args;
use std::fmt;
use std::path::{Path, PathBuf};
use virtflow_query::Options;
use virtflow_query::Recording;
use virtflow_query::store::{Cache, Input, Manifest};

/// The traces that are given together, or a store in their place.
#[derive(Debug, Args)]
pub(crate) struct Traces {
    /// The trace's directory or file, those of several machines, or a store
    #[arg(required = true, value_name = "TRACE")]
    paths: Vec<PathBuf>,
    /// A guest's time stamp counter is the host's plus this, as KVM's debugfs says (tsc-offset); where
    /// the clocks of both traces are such counters
    #[arg(long, value_name = "MACHINE=CYCLES", value_parser = parse_offset, allow_hyphen_values = true)]
    tsc_offset: Vec<(String, u64)>,
}

impl Traces {
    /// The store, if it is one.
    pub(crate) fn store(&self) -> Option<&Path> {
        match &self.paths[..] {
            [only] if Manifest::is_store(only) => Some(only),
            _ => None,
        }
    }

    /// Opens them as one recording.
    pub(crate) fn recording(&self) -> anyhow::Result<Recording> {
        if let Some(store) = self.paths.iter().find(|path| Manifest::is_store(path)) {
            let what = format!("{}: a store is given alone", store.display());
            return Err(UsageError(what).into());
        }
        let mut recording = Recording::open_all(&self.paths)?;
        for (machine, offset) in &self.tsc_offset {
            if !recording.give_tsc_offset(machine, *offset) {
                let names: Vec<_> = recording.machines().iter().map(|m| &*m.name).collect();
                let names = names.join(", ");
                let what = format!("--tsc-offset {machine}: no such machine; there are: {names}");
                return Err(UsageError(what).into());
            }
        }
        Ok(recording)
    }

    /// What they are to an analysis: the store, one that was kept, or the traces.
    pub(crate) fn input(&self, options: &Options, cache: Option<&Cache>) -> anyhow::Result<Input> {
        Ok(match self.store() {
            Some(store) => Input::open(store, options, cache)?,
            None => Input::of(self.recording()?, options, self.cached(cache))?,
        })
    }

    /// The cache, where it can know what would be found.
    pub(crate) fn cached<'a>(&self, cache: Option<&'a Cache>) -> Option<&'a Cache> {
        cache.filter(|_| self.tell_all())
    }

    /// Whether what is found follows from the traces alone, and not from what only the caller knows.
    pub(crate) fn tell_all(&self) -> bool {
        self.tsc_offset.is_empty()
    }
}

impl fmt::Display for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, path) in self.paths.iter().enumerate() {
            let space = if at > 0 { " " } else { "" };
            write!(f, "{space}{}", path.display())?;
        }
        Ok(())
    }
}

/// `MACHINE=CYCLES`: a signed number, or the 64 bits of one in hexadecimal.
fn parse_offset(text: &str) -> Result<(String, u64), String> {
    let wrong = || format!("{text:?} is not MACHINE=CYCLES, as vm1=-41896200163");
    let (machine, cycles) = text.rsplit_once('=').ok_or_else(wrong)?;
    let cycles = match cycles.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => cycles
            .parse::<i64>()
            .map(i64::cast_unsigned)
            .or_else(|_| cycles.parse())
            .ok(),
    };
    Ok((machine.to_owned(), cycles.ok_or_else(wrong)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_signed_or_hexadecimal() {
        let vm = |cycles| Ok(("vm=1".to_owned(), cycles));
        assert_eq!(parse_offset("vm=1=-2"), vm(u64::MAX - 1));
        assert_eq!(parse_offset("vm=1=0xfffffffffffffffe"), vm(u64::MAX - 1));
        assert_eq!(parse_offset("vm=1=18446744073709551614"), vm(u64::MAX - 1));
        assert!(parse_offset("vm1").is_err() && parse_offset("vm1=x").is_err());
    }
}
