"""Codes of a screened temperature: why its outcome is not plain, and what is asked for next."""

from __future__ import annotations

from agent.texts.text import Text, Texts

TEMPERATURE: Texts = {
    "thermometer_down": Text("The thermometer is not connected.", "测温设备未连接。"),
    "range_down": Text("The range sensor is not connected.", "测距设备未连接。"),
    "drift": Text("The thermometer has drifted: it must be zeroed.", "测温设备漂移超限，须重新校零。"),
    "check_overdue": Text("The thermometer's daily check is overdue.", "测温设备未按时核查。"),
    "calibration_changed": Text(
        "The thermometer was calibrated after this measurement: measure again.",
        "测温后设备已重新校准，须重新测温。",
    ),
    "too_few_samples": Text("Nobody stood still before the thermometer.", "未在测温处停留。"),
    "not_at_mark": Text("Nobody stood at the mark before the thermometer.", "未站在测温标记处。"),
    "has_left": Text("Left before it was measured.", "测温完成前已离开。"),
    "not_steady": Text("The reading was not steady.", "测温读数不稳定。"),
    "cold_skin": Text("The skin is cold, or too far away.", "皮肤温度过低，或距离过远。"),
    "imprecise": Text(
        "This thermometer is imprecise, and not calibrated.",
        "测温设备精度不足，且尚未校准。",
    ),
    "not_new": Text(
        "Who stands there was measured for another code: step away, then up again.",
        "请先离开测温处，再重新测温。",
    ),
    "warm_object": Text("Something warm stays before the thermometer.", "测温处有持续不动的热源。"),
    "frozen": Text("The thermometer repeats one value.", "测温仪的读数一直不变。"),
    "mark_blocked": Text("Something stays before the range sensor.", "测距处有持续不动的物体。"),
    "no_skin": Text("Something hotter than skin is in view.", "测温处有高温物体。"),
    "room_unknown": Text("The temperature of the room is not known.", "室温未知。"),
    "room_outside_calibration": Text(
        "The room is colder or warmer than at the calibration.",
        "室温超出校准范围。",
    ),
    "mean_of_two": Text("The mean of both readings counts.", "以两次测温的平均值为准。"),
    "rest_not_over": Text("The rest is not over yet.", "休息时间未到。"),
    "clinical_decides": Text("A second instrument decides.", "以第二种体温计复测结果为准。"),
}
"""Why the outcome of a temperature is not plain."""

NEXT_STEPS: Texts = {
    "second_reading": Text("Please be measured a second time.", "请再测一次体温。"),
    "rest": Text(
        "Please rest in the cool for ten minutes, then be measured again.", "请到阴凉处休息十分钟后复测。"
    ),
    "clinical_reading": Text("Staff will measure with another thermometer.", "请工作人员用其他体温计复测。"),
}
"""What the retest protocol asks for."""
