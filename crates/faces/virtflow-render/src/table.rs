//! What a picture shows, as rows.

use crate::legend::words;
use crate::{Picture, RenderError};

const COLUMNS: [&str; 11] = [
    "row", "key", "vcpu", "start_ns", "end_ns", "state", "cause", "level", "ns", "exact", "by_key",
];

pub(crate) fn csv(picture: &Picture<'_>) -> Result<String, RenderError> {
    let failed = |e: String| RenderError::Picture(e);
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(COLUMNS)
        .map_err(|e| failed(e.to_string()))?;
    for row in &picture.rows {
        let Some(entity) = row.entity else { continue };
        let from = picture.pieces.partition_point(|p| p.lane.entity < entity);
        let to = picture.pieces.partition_point(|p| p.lane.entity <= entity);
        let key = |entity: u32| {
            let entity = picture.store.entities().get(entity as usize);
            entity.map_or_else(String::new, |e| e.key.clone())
        };
        for piece in &picture.pieces[from..to] {
            let (state, cause, level) = words(picture, piece.doing);
            let vcpu = match piece.lane.vcpu {
                -1 => String::new(),
                vcpu => vcpu.to_string(),
            };
            let by = u32::try_from(piece.by).map_or_else(|_| String::new(), key);
            let fields = [
                row.label.clone(),
                key(entity),
                vcpu,
                piece.start.to_string(),
                piece.end.to_string(),
                state,
                cause,
                level.to_string(),
                piece.ns.to_string(),
                piece.exact.to_string(),
                by,
            ];
            out.write_record(fields)
                .map_err(|e| failed(e.to_string()))?;
        }
    }
    let bytes = out.into_inner().map_err(|e| failed(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| failed(e.to_string()))
}
