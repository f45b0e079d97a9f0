//! What a picture shows, as rows.

use super::Timeline;
use super::rows::Shown;
use crate::RenderError;
use virtflow_query::Counter;

const COLUMNS: [&str; 11] = [
    "row", "key", "vcpu", "start_ns", "end_ns", "state", "cause", "level", "ns", "exact", "by_key",
];
/// What follows where counters are shown.
const COUNTED: [&str; 6] = ["counter", "values", "sum", "least", "greatest", "last"];

pub(crate) fn csv(picture: &Timeline<'_>) -> Result<String, RenderError> {
    let failed = |e: String| RenderError::Picture(e);
    let mut out = csv::Writer::from_writer(Vec::new());
    let counted = picture
        .rows
        .iter()
        .any(|row| matches!(row.shown, Shown::Curve(_)));
    let more: &[&str] = if counted { &COUNTED } else { &[] };
    out.write_record(COLUMNS.iter().chain(more))
        .map_err(|e| failed(e.to_string()))?;
    for row in &picture.rows {
        let entity = match row.shown {
            Shown::Heading => continue,
            Shown::Lanes(entity) => entity,
            Shown::Curve(series) => {
                for point in picture.points(series) {
                    let name = Counter::from_code(series.counter).map_or("", Counter::as_str);
                    let end = point.start.saturating_add(picture.curves.bucket_ns);
                    let mut fields = vec![String::new(); COLUMNS.len()];
                    fields[0].clone_from(&row.label);
                    fields[1] = picture.key(series.entity);
                    fields[3] = point.start.to_string();
                    fields[4] = end.to_string();
                    fields[9] = (picture.curves.bucket_ns == 0).to_string();
                    fields.push(name.to_owned());
                    fields.push(point.count.to_string());
                    let numbers = [point.sum, point.least, point.greatest, point.last];
                    fields.extend(numbers.map(|n| n.to_string()));
                    out.write_record(fields)
                        .map_err(|e| failed(e.to_string()))?;
                }
                continue;
            }
        };
        let from = picture.pieces.partition_point(|p| p.lane.entity < entity);
        let to = picture.pieces.partition_point(|p| p.lane.entity <= entity);
        for piece in &picture.pieces[from..to] {
            let (state, cause, level) = picture.words(piece.doing);
            let vcpu = match piece.lane.vcpu {
                -1 => String::new(),
                vcpu => vcpu.to_string(),
            };
            let by = u32::try_from(piece.by).map_or_else(|_| String::new(), |by| picture.key(by));
            let fields = [
                row.label.clone(),
                picture.key(entity),
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
            let none = more.iter().map(|_| String::new());
            out.write_record(fields.into_iter().chain(none))
                .map_err(|e| failed(e.to_string()))?;
        }
    }
    let bytes = out.into_inner().map_err(|e| failed(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| failed(e.to_string()))
}
