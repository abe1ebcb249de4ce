"""Words around a decision: its outcome, the row that decided, and what would have changed it."""

from __future__ import annotations

from agent.texts.text import Text, Texts

OUTCOMES: Texts = {
    "admit": Text("admit", "放行"),
    "admit_with_notice": Text("admit with a notice", "放行并提示"),
    "refer": Text("refer to staff", "转人工核验"),
    "refuse": Text("refuse", "不予放行"),
}

EXPLANATIONS: Texts = {
    "decided": Text(
        "Row “{row}” of table {table} decided: {outcome}.", "由规则表 {table} 的“{row}”一行判定：{outcome}。"
    ),
    "because": Text("It asks for {conditions}.", "该行的条件：{conditions}。"),
    "always": Text("It asks for nothing: no row before it matched.", "该行没有条件：前面各行均不符合。"),
    "or": Text(" or ", " 或 "),
    "change": Text("With {fact} {values}: {outcome}.", "若 {fact} 为 {values}：{outcome}。"),
    "nothing": Text("No other single fact would have changed the outcome.", "改变任何单独一项都不会改变结果。"),
}
"""Templates of `agent.policy.explain`."""
