//! Writes small files as trace-cmd does, byte for byte as its formats say, for tests: nothing is
//! bounded and everything is held in memory.

use std::io::Write;

pub use virtflow_tracefs::ByteOrder;

/// How numbers and pages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Which byte of a number comes first.
    pub order: ByteOrder,
    /// Bytes of a `long` of the kernel: 4 or 8.
    pub long: usize,
    /// Bytes of a page.
    pub page_size: u32,
}

/// An entry of a page of the ring buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// After so many ticks, a record of these bytes.
    Record(u32, Vec<u8>),
    /// So many ticks more before what follows.
    Extend(u64),
    /// What follows counts from this time.
    Stamp(u64),
    /// After so many ticks, so many bytes that were discarded.
    Discarded(u32, u32),
}

impl Shape {
    /// Appends the low `size` bytes of a number.
    pub fn put(&self, value: u64, size: usize, out: &mut Vec<u8>) {
        let little = value.to_le_bytes();
        let bytes = little.iter().take(size).copied();
        match self.order {
            ByteOrder::Little => out.extend(bytes),
            ByteOrder::Big => out.extend(bytes.rev()),
        }
    }

    /// A page that begins at time `stamp`. `missed` says that events were lost before it, and how
    /// many.
    ///
    /// # Panics
    /// Where the entries do not fit.
    pub fn page(&self, stamp: u64, entries: &[Entry], missed: Option<Option<u64>>) -> Vec<u8> {
        let mut data = Vec::new();
        for entry in entries {
            self.entry(entry, &mut data);
        }
        let flags = match missed {
            None => 0,
            Some(None) => 1 << 31,
            Some(Some(_)) => 3 << 30,
        };
        let mut page = Vec::new();
        self.put(stamp, 8, &mut page);
        self.put(data.len() as u64 | flags, self.long, &mut page);
        page.extend_from_slice(&data);
        if let Some(Some(count)) = missed {
            self.put(count, self.long, &mut page);
        }
        let size = self.page_size as usize;
        assert!(page.len() <= size, "{} bytes in a page", page.len());
        page.resize(size, 0);
        page
    }

    fn entry(&self, entry: &Entry, out: &mut Vec<u8>) {
        let word = |kind: u64, delta: u64, out: &mut Vec<u8>| {
            let word = match self.order {
                ByteOrder::Little => kind | (delta << 5),
                ByteOrder::Big => (kind << 27) | delta,
            };
            self.put(word, 4, out);
        };
        match entry {
            Entry::Record(delta, bytes) if bytes.len() <= 112 && bytes.len().is_multiple_of(4) => {
                word(bytes.len() as u64 / 4, (*delta).into(), out);
                out.extend_from_slice(bytes);
            }
            Entry::Record(delta, bytes) => {
                word(0, (*delta).into(), out);
                self.put(bytes.len() as u64 + 4, 4, out);
                out.extend_from_slice(bytes);
                out.resize(out.len().next_multiple_of(4), 0);
            }
            Entry::Extend(time) | Entry::Stamp(time) => {
                let kind = if matches!(entry, Entry::Extend(_)) {
                    30
                } else {
                    31
                };
                word(kind, time & ((1 << 27) - 1), out);
                self.put(time >> 27, 4, out);
            }
            Entry::Discarded(delta, bytes) => {
                word(29, (*delta).into(), out);
                self.put((*bytes).into(), 4, out);
                out.resize(out.len() + (*bytes as usize).saturating_sub(4), 0);
            }
        }
    }

    /// The text of the kernel's file `header_page`.
    fn header_page(&self) -> String {
        let (long, data) = (self.long, 8 + self.long);
        let size = self.page_size as usize - data;
        format!(
            "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n\
             \tfield: local_t commit;\toffset:8;\tsize:{long};\tsigned:1;\n\
             \tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n\
             \tfield: char data;\toffset:{data};\tsize:{size};\tsigned:1;\n"
        )
    }
}

/// How the pages and sections of a file of version 7 are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pack {
    /// Not at all.
    None,
    /// With zlib.
    Zlib,
    /// With Zstandard.
    Zstd,
}

impl Pack {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Zlib => "zlib",
            Self::Zstd => "zstd",
        }
    }

    fn pack(self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(bytes.to_vec()),
            Self::Zlib => {
                let level = flate2::Compression::default();
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(bytes)?;
                encoder.finish()
            }
            Self::Zstd => zstd::bulk::compress(bytes, 3),
        }
    }
}

/// The pages of a buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    /// The instance's name; empty for the first buffer.
    pub name: String,
    /// Of each processor its pages.
    pub cpus: Vec<Vec<Vec<u8>>>,
}

/// A file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileWriter {
    /// How numbers and pages are written.
    pub shape: Shape,
    /// How it is packed; version 6 never is.
    pub pack: Pack,
    /// System and description of each event.
    pub formats: Vec<(String, String)>,
    /// The kernel's `saved_cmdlines`.
    pub names: String,
    /// The clock of all buffers.
    pub clock: String,
    /// Further options, by number.
    pub options: Vec<(u16, Vec<u8>)>,
    /// Its buffers.
    pub buffers: Vec<Pages>,
}

/// Pages that are packed together.
const TOGETHER: usize = 10;

impl FileWriter {
    /// A file without events.
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            pack: Pack::None,
            formats: Vec::new(),
            names: String::new(),
            clock: "mono".to_owned(),
            options: Vec::new(),
            buffers: Vec::new(),
        }
    }

    fn head(&self, version: &[u8]) -> Vec<u8> {
        let mut out = b"\x17\x08\x44tracing".to_vec();
        out.extend_from_slice(version);
        out.push(0);
        out.push((self.shape.order == ByteOrder::Big).into());
        out.push(self.shape.long as u8);
        self.shape.put(self.shape.page_size.into(), 4, &mut out);
        out
    }

    fn sized(&self, text: &[u8], out: &mut Vec<u8>) {
        self.shape.put(text.len() as u64, 8, out);
        out.extend_from_slice(text);
    }

    fn header_info(&self) -> Vec<u8> {
        let mut out = b"header_page\0".to_vec();
        self.sized(self.shape.header_page().as_bytes(), &mut out);
        out.extend_from_slice(b"header_event\0");
        self.sized(b"# compressed entry header\n", &mut out);
        out
    }

    fn event_formats(&self) -> Vec<u8> {
        let mut systems: Vec<&str> = Vec::new();
        for (system, _) in &self.formats {
            if !systems.contains(&system.as_str()) {
                systems.push(system);
            }
        }
        let mut out = Vec::new();
        self.shape.put(systems.len() as u64, 4, &mut out);
        for system in systems {
            out.extend_from_slice(system.as_bytes());
            out.push(0);
            let own = || self.formats.iter().filter(|(of, _)| of == system);
            self.shape.put(own().count() as u64, 4, &mut out);
            own().for_each(|(_, text)| self.sized(text.as_bytes(), &mut out));
        }
        out
    }

    fn option(&self, number: u16, bytes: &[u8], out: &mut Vec<u8>) {
        self.shape.put(number.into(), 2, out);
        self.shape.put(bytes.len() as u64, 4, out);
        out.extend_from_slice(bytes);
    }

    fn clock_option(&self) -> Vec<u8> {
        format!("local global [{}] boot\n\0", self.clock).into_bytes()
    }

    /// A file of version 6.
    pub fn version_6(&self) -> Vec<u8> {
        let shape = self.shape;
        let mut out = self.head(b"6");
        out.extend_from_slice(&self.header_info());
        // None of ftrace's own formats.
        shape.put(0, 4, &mut out);
        out.extend_from_slice(&self.event_formats());
        // Neither symbols nor formats of printk.
        shape.put(0, 4, &mut out);
        shape.put(0, 4, &mut out);
        self.sized(self.names.as_bytes(), &mut out);
        let cpus = self.buffers.iter().map(|buffer| buffer.cpus.len()).max();
        shape.put(cpus.unwrap_or(0) as u64, 4, &mut out);
        out.extend_from_slice(b"options  \0");
        self.option(4, &self.clock_option(), &mut out);
        for (number, bytes) in &self.options {
            self.option(*number, bytes, &mut out);
        }
        // Where each buffer's list of processors will stand is not known yet.
        let mut lists = Vec::new();
        for buffer in self.buffers.iter().skip(1) {
            let mut option = vec![0; 8];
            option.extend_from_slice(buffer.name.as_bytes());
            option.push(0);
            self.option(3, &option, &mut out);
            lists.push(out.len() - option.len());
        }
        shape.put(0, 2, &mut out);
        for (number, buffer) in self.buffers.iter().enumerate() {
            if let Some(list) = number.checked_sub(1).and_then(|n| lists.get(n)) {
                let mut place = Vec::new();
                shape.put(out.len() as u64, 8, &mut place);
                if let Some(into) = out.get_mut(*list..list + 8) {
                    into.copy_from_slice(&place);
                }
            }
            out.extend_from_slice(b"flyrecord\0");
            let table = 16 * buffer.cpus.len();
            let page = shape.page_size as usize;
            let mut at = (out.len() + table).next_multiple_of(page);
            for pages in &buffer.cpus {
                shape.put(at as u64, 8, &mut out);
                shape.put((pages.len() * page) as u64, 8, &mut out);
                at += pages.len() * page;
            }
            out.resize(out.len().next_multiple_of(page), 0);
            buffer
                .cpus
                .iter()
                .flatten()
                .for_each(|page| out.extend(page));
        }
        out
    }

    /// A file of version 7.
    ///
    /// # Errors
    /// Where something cannot be packed.
    pub fn version_7(&self) -> std::io::Result<Vec<u8>> {
        let shape = self.shape;
        let mut out = self.head(b"7");
        out.extend_from_slice(format!("{}\0{}\0", self.pack.name(), "1").as_bytes());
        let first = out.len();
        shape.put(0, 8, &mut out);
        let mut options = Vec::new();
        let mut names = Vec::new();
        self.sized(self.names.as_bytes(), &mut names);
        for (number, bytes) in [
            (16, self.header_info()),
            (18, self.event_formats()),
            (21, names),
        ] {
            let mut place = Vec::new();
            shape.put(out.len() as u64, 8, &mut place);
            self.section(number, &bytes, &mut out)?;
            self.option(number, &place, &mut options);
        }
        self.option(4, &self.clock_option(), &mut options);
        for (number, bytes) in &self.options {
            self.option(*number, bytes, &mut options);
        }
        for buffer in &self.buffers {
            let option = self.buffer_7(buffer, &mut out)?;
            self.option(3, &option, &mut options);
        }
        let mut end = Vec::new();
        shape.put(0, 8, &mut end);
        self.option(0, &end, &mut options);
        let mut place = Vec::new();
        shape.put(out.len() as u64, 8, &mut place);
        if let Some(into) = out.get_mut(first..first + 8) {
            into.copy_from_slice(&place);
        }
        self.section_head(0, 0, options.len(), &mut out);
        out.extend_from_slice(&options);
        Ok(out)
    }

    fn section_head(&self, number: u16, flags: u16, size: usize, out: &mut Vec<u8>) {
        self.shape.put(number.into(), 2, out);
        self.shape.put(flags.into(), 2, out);
        self.shape.put(0, 4, out);
        self.shape.put(size as u64, 8, out);
    }

    fn section(&self, number: u16, bytes: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
        if self.pack == Pack::None {
            self.section_head(number, 0, bytes.len(), out);
            out.extend_from_slice(bytes);
            return Ok(());
        }
        let packed = self.pack.pack(bytes)?;
        self.section_head(number, 1, packed.len() + 8, out);
        self.shape.put(packed.len() as u64, 4, out);
        self.shape.put(bytes.len() as u64, 4, out);
        out.extend_from_slice(&packed);
        Ok(())
    }

    /// Writes a buffer's pages and returns its option.
    fn buffer_7(&self, buffer: &Pages, out: &mut Vec<u8>) -> std::io::Result<Vec<u8>> {
        let shape = self.shape;
        let mut option = Vec::new();
        shape.put(out.len() as u64, 8, &mut option);
        option.extend_from_slice(format!("{}\0{}\0", buffer.name, self.clock).as_bytes());
        shape.put(shape.page_size.into(), 4, &mut option);
        shape.put(buffer.cpus.len() as u64, 4, &mut option);
        let packed = self.pack != Pack::None;
        self.section_head(3, packed.into(), 0, out);
        for (cpu, pages) in buffer.cpus.iter().enumerate() {
            out.resize(out.len().next_multiple_of(shape.page_size as usize), 0);
            shape.put(cpu as u64, 4, &mut option);
            shape.put(out.len() as u64, 8, &mut option);
            let start = out.len();
            if packed {
                let pieces: Vec<_> = pages.chunks(TOGETHER).map(<[_]>::concat).collect();
                shape.put(pieces.len() as u64, 4, out);
                for piece in pieces {
                    let bytes = self.pack.pack(&piece)?;
                    shape.put(bytes.len() as u64, 4, out);
                    shape.put(piece.len() as u64, 4, out);
                    out.extend_from_slice(&bytes);
                }
                // The count of pieces is not counted.
                shape.put((out.len() - start - 4) as u64, 8, &mut option);
            } else {
                pages.iter().for_each(|page| out.extend(page));
                shape.put((out.len() - start) as u64, 8, &mut option);
            }
        }
        Ok(option)
    }
}
