"""What has changed since an earlier run."""

from report_samples import report, row

from refconv.conformance.baseline import compare


def changes(now, before, **facts):
    return compare(report(*now, **facts), report(*before), "before.json")


def test_every_kind_of_change():
    before = [
        row("one", outcome="pass"),
        row("two", outcome="fail"),
        row("three", outcome="fail"),
        row("four", outcome="pass"),
        row("five", outcome="pass", worst_share=0.4),
        row("six", outcome="pass", worst_share=0.4),
        row("gone", outcome="fail"),
        row("seven", outcome="expected failure"),
        row("eight", outcome="pass", worst_share=0.0),
    ]
    now = [
        row("one", outcome="fail"),
        row("two", outcome="pass"),
        row("three", outcome="fail"),
        row("four", outcome="unsupported"),
        row("five", outcome="pass", worst_share=0.61),
        row("six", outcome="pass", worst_share=0.59),
        row("new", outcome="error"),
        row("newer", outcome="pass"),
        row("seven", outcome="unexpected pass"),
        row("eight", outcome="pass", worst_share=0.01),
    ]
    found = changes(now, before, versions={"refconv": "1.3", "torch": "2.13"})
    assert found.lines() == [
        "+ FAILS now         one/conv2d/float32",
        "+ FAILS now         new/conv2d/float32",
        "- fixed             two/conv2d/float32",
        "- fixed             seven/conv2d/float32",
        "? no longer judged  four/conv2d/float32",
        "~ largest error     five/conv2d/float32: 40% of what is allowed, now 61%",
        "~ largest error     eight/conv2d/float32: 0% of what is allowed, now 1%",
        "  version           refconv 1.2, now 1.3",
    ]


def test_nothing_changes_between_a_report_and_itself():
    assert compare(report(), report(), "same.json").lines() == []
