use super::*;

#[test]
fn a_packet_lies_as_lttng_lays_it() {
    let dir = tempfile::tempdir().unwrap();
    let trace = TraceWriter::create(dir.path(), &TraceConfig::default(), &classes()).unwrap();
    let mut out = trace.stream(StreamIdentity::of_cpu("k", 3)).unwrap();
    out.set_sequence(5);
    out.set_discarded(2);
    out.begin_packet(10).unwrap();
    out.event(20, 7, &[1, 2, 3, 4]).unwrap();
    out.event(30, 7, &[5, 6, 7, 8]).unwrap();
    out.end_packet(40).unwrap();
    assert_eq!(
        out.finish().unwrap(),
        StreamTotals {
            events: 2,
            bytes: 4096
        }
    );

    let bytes = std::fs::read(dir.path().join("k_3")).unwrap();
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    assert_eq!(bytes[..4], [0xc1, 0x1f, 0xfc, 0xc1]);
    let context: Vec<u64> = (0..6).map(|n| word(32 + 8 * n)).collect();
    let content = 84 + 18 + 10;
    assert_eq!(context, [10, 40, content * 8, 4096 * 8, 5, 2]);
    assert_eq!(bytes[80..84], [3, 0, 0, 0]);
    assert_eq!(
        bytes[84..102],
        [255, 255, 7, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]
    );
    assert_eq!(bytes[102..112], [7, 0, 30, 0, 0, 0, 5, 6, 7, 8]);

    let index = std::fs::read(dir.path().join("index/k_3.idx")).unwrap();
    assert_eq!(
        index[..16],
        [0xc1, 0xf1, 0xdc, 0xc1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 72]
    );
    let entry: Vec<u64> = index[16..]
        .chunks_exact(8)
        .map(|word| u64::from_be_bytes(word.try_into().unwrap()))
        .collect();
    assert_eq!(entry, [0, 4096 * 8, content * 8, 10, 40, 2, 0, 3, 5]);
}

#[test]
fn what_cannot_be_written_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let stream = StreamConfig {
        packet_bytes_max: 256,
        ..StreamConfig::default()
    };
    let config = TraceConfig {
        stream,
        ..TraceConfig::default()
    };
    let trace = TraceWriter::create(dir.path(), &config, &classes()).unwrap();
    let mut out = trace.stream(StreamIdentity::of_cpu("k", 0)).unwrap();
    out.event(100, 7, &[0; 4]).unwrap();
    let early = out.event(99, 7, &[0; 4]);
    assert!(matches!(
        early,
        Err(WriteError::TimeBackwards {
            time: 99,
            last: 100
        })
    ));
    assert!(matches!(
        out.event(100, 8, &[]),
        Err(WriteError::UnknownClass(8))
    ));
    assert!(matches!(
        out.event(100, 7, &[0; 200]),
        Err(WriteError::EventTooLarge { .. })
    ));
    assert!(matches!(
        out.begin_packet(200),
        Err(WriteError::Sequence(_))
    ));
    assert!(matches!(
        out.end_packet(50),
        Err(WriteError::TimeBackwards { .. })
    ));
    assert_eq!(out.finish().unwrap().events, 1);
    let two = [
        EventClass::new(1, "a", vec![]),
        EventClass::new(1, "b", vec![]),
    ];
    let twice = TraceWriter::create(dir.path(), &config, &two);
    assert!(matches!(twice, Err(WriteError::DuplicateClass(1))));
}

#[test]
fn numbers_of_odd_sizes_start_at_bytes() {
    let mut little = Payload::new(ByteOrder::Little);
    little.bits(0x1abc, 13).bits(u64::MAX, 1).bits(u64::MAX, 64);
    assert_eq!(little.as_bytes()[..3], [0xbc, 0x1a, 1]);
    let mut big = Payload::new(ByteOrder::Big);
    big.bits(0x1abc, 13).bits(5, 3);
    assert_eq!(big.as_bytes(), [0xd5, 0xe0, 0xa0]);
}

#[test]
fn misfits_are_refused() {
    let class = &classes()[0];
    let mut payload = Payload::new(ByteOrder::Little);
    let misfit = |at: usize, value: Value| {
        let mut values = values();
        values[at] = value;
        class
            .encode(&values, &mut payload.clone())
            .unwrap_err()
            .to_string()
    };
    assert!(misfit(3, 0x2000.into()).contains("_odd"));
    assert!(misfit(0, "longer than sixteen bytes".into()).contains("_comm"));
    assert!(misfit(5, 3.into()).contains("_seq"));
    assert!(misfit(1, "text".into()).contains("another kind"));
    class.encode(&values(), &mut payload).unwrap();
}
