//! Recorded arrivals as Parquet, as `traffic.arrival` reads them.

use std::path::Path;

use super::RecordError;
use super::parquet::{Column, Kind, TableFile};

/// Rows of a block.
const BLOCK_ROWS: usize = 1 << 14;

/// The columns of a trace, all of one length.
#[derive(Clone, Debug, Default)]
pub struct TraceColumns {
    /// Arrivals in nanoseconds since the first.
    pub at_ns: Vec<u64>,
    /// Service demands in nanoseconds, where they are known.
    pub demand_ns: Vec<Option<u64>>,
    /// Classes, indices into `classes`.
    pub class: Vec<u16>,
    /// Their names.
    pub classes: Vec<String>,
}

/// Writes a trace to `path`.
///
/// # Errors
/// If the file cannot be written.
pub fn write(path: &Path, trace: &TraceColumns) -> Result<(), RecordError> {
    let columns = vec![
        Column { name: "at_ns", kind: Kind::Signed },
        Column { name: "demand_ns", kind: Kind::SignedOrNull },
        Column { name: "class", kind: Kind::Name(trace.classes.clone().into()) },
    ];
    let mut file = TableFile::create(path, columns, &[])?;
    // A value is null where it equals the other of its pair.
    let or_null = |nanos: Option<u64>| nanos.map_or((0, 0), |nanos| (nanos, u64::from(nanos == 0)));
    let blocks = trace.at_ns.chunks(BLOCK_ROWS).zip(trace.demand_ns.chunks(BLOCK_ROWS));
    for ((at, demand), class) in blocks.zip(trace.class.chunks(BLOCK_ROWS)) {
        let rows: Vec<_> = at.iter().zip(demand).zip(class).collect();
        let mut block = file.block(&rows);
        block.signed(|((at, _), _)| **at);
        block.signed_unless(|((_, demand), _)| or_null(**demand));
        block.name(|(_, class)| u32::from(**class));
        file.end_block(at.len())?;
    }
    file.finish()
}
