//! The rows of several generators, put together in one spool.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};

use crate::record::spool::{SpoolReader, SpoolWriter};
use crate::record::{NO_UPSTREAM, RecordError, RequestRow};
use crate::units::Nanos;

/// What one generator wrote.
pub(super) struct Rows {
    pub(super) spool: PathBuf,
    /// By its own index of a server, that server's index among all.
    pub(super) servers: Vec<usize>,
}

impl Rows {
    fn translated(&self, row: RequestRow) -> RequestRow {
        let place = self.servers.get(row.upstream as usize);
        let upstream = place.and_then(|&place| u32::try_from(place).ok());
        RequestRow { upstream: upstream.unwrap_or(NO_UPSTREAM), ..row }
    }
}

/// Writes the rows of all `parts` to `whole`, in the order in which they ended, as one generator
/// would have.
pub(super) fn merge(parts: &[Rows], whole: &Path) -> Result<(), RecordError> {
    let mut readers = Vec::new();
    for part in parts {
        readers.push(SpoolReader::<RequestRow>::open(&part.spool)?);
    }
    let mut out = SpoolWriter::create(whole)?;
    let mut next = Vec::new();
    let mut first = BinaryHeap::new();
    for (index, reader) in readers.iter_mut().enumerate() {
        let row = reader.row()?;
        first.extend(row.map(|row| Reverse((row.finished_ns, index))));
        next.push(row);
    }
    while let Some(Reverse((_, index))) = first.pop() {
        let after = readers[index].row()?;
        first.extend(after.map(|row| Reverse((row.finished_ns, index))));
        if let Some(row) = std::mem::replace(&mut next[index], after) {
            out.write(&parts[index].translated(row), Nanos::ZERO)?;
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::spool::read_spool;

    #[test]
    fn rows_come_in_the_order_they_ended_and_name_servers_by_the_common_index() {
        let folder = std::env::temp_dir().join(format!("lab-join-rows-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let spool = |name: &str, rows: &[(u64, u32)]| {
            let path = folder.join(name);
            let mut spool = SpoolWriter::create(&path).unwrap();
            for &(finished_ns, upstream) in rows {
                let row = RequestRow { finished_ns, upstream, ..RequestRow::BLANK };
                spool.write(&row, Nanos::ZERO).unwrap();
            }
            spool.flush().unwrap();
            path
        };
        let parts = [
            Rows { spool: spool("a", &[(1, 0), (5, 1), (9, NO_UPSTREAM)]), servers: vec![0, 1] },
            Rows { spool: spool("b", &[]), servers: vec![] },
            Rows { spool: spool("c", &[(2, 0), (3, 1), (30, 0)]), servers: vec![2, 0] },
        ];
        let whole = folder.join("whole");
        merge(&parts, &whole).unwrap();
        let mut seen = Vec::new();
        read_spool(&whole, |row: RequestRow| seen.push((row.finished_ns, row.upstream))).unwrap();
        assert_eq!(seen, [(1, 0), (2, 2), (3, 0), (5, 1), (9, NO_UPSTREAM), (30, 2)]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
