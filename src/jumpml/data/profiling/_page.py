"""A profile as one HTML page that asks for nothing else."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from jumpml.data.profiling._text import bounds, spark, told

if TYPE_CHECKING:
    from jumpml.data.profiling._records import Profile

TEMPLATE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ profile.name }}: the data</title>
<style>
body { margin: 0 auto; max-width: 72rem; padding: 2.5rem 1.5rem; background: #fcfbf8; color: #1c2024;
  font: 16px/1.55 ui-sans-serif, system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .4rem; } h2 { font-size: 1.25rem; margin: 2.4rem 0 .6rem; }
p { margin: .3rem 0; max-width: 46rem; } .quiet { color: #5d646c; }
ul { padding-left: 1.2rem; max-width: 52rem; } li { margin: .35rem 0; } .alarm li { color: #a5231c; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; min-width: 100%; }
th, td { text-align: left; vertical-align: baseline; padding: .35rem 1.2rem .35rem 0;
  border-bottom: 1px solid #dfdbd1; }
thead th { font-weight: 500; color: #5d646c; } .n { text-align: right; white-space: nowrap; }
td.bars { font-family: ui-monospace, monospace; white-space: pre; color: #0b63a5; line-height: 1; }
td.values { overflow-wrap: anywhere; min-width: 14rem; }
img { display: block; max-width: 100%; height: auto; background: white; border: 1px solid #dfdbd1; }
</style>
</head>
<body>
<h1>{{ profile.name }}</h1>
<p>{{ "{:,}".format(total) }} rows:
{%- for split, count in profile.rows.items() %} {{ split }} {{ "{:,}".format(count) }}
 ({{ "{:.0%}".format(count / total) }}){{ "," if not loop.last else "." }}{% endfor %}</p>
{% for reason, count in profile.left_out.items() %}<p>In no split: {{ "{:,}".format(count) }} rows {{ reason }}.</p>
{% endfor %}
{% if bounds %}<p class="quiet">{{ bounds | capitalize }}.</p>{% endif %}
<h2>Alarming</h2>
{% if alarms %}<ul class="alarm">{% for text in alarms %}<li>{{ text }}</li>{% endfor %}</ul>
{% else %}<p>Nothing.</p>{% endif %}
<h2>Worth knowing</h2>
{% if notes %}<ul>{% for text in notes %}<li>{{ text }}</li>{% endfor %}</ul>{% else %}<p>Nothing.</p>{% endif %}
<h2>Values</h2>
{% if profile.target is not none %}<p class="quiet">The target is {{ profile.target }}. &ldquo;Alone&rdquo; is how well
a column predicts it by itself, on held-out train rows: 0 is chance, 1 is perfect.</p>{% endif %}
<div class="scroll"><table>
<thead><tr><th>column</th><th>kind</th><th class="n">missing</th><th class="n">different</th>
{%- if profile.target is not none %}<th class="n">alone</th>{% endif %}<th></th><th>values</th></tr></thead>
<tbody>
{% for each in profile.variables %}<tr><th>{{ each.name }}</th><td>{{ each.kind }}</td>
<td class="n">{{ "{:.1%}".format(each.missing) if each.missing else "" }}</td>
<td class="n">{{ "{:,}".format(each.distinct) }}</td>
{%- if profile.target is not none %}<td class="n">{{ "" if each.alone is none else "{:.2f}".format(each.alone) }}</td>
{%- endif %}<td class="bars">{{ each.bars | spark }}</td><td class="values">{{ each | told }}</td></tr>
{% endfor %}</tbody>
</table></div>
<h2>Distributions</h2>
<img src="data:image/png;base64,{{ picture }}" alt="A histogram of each column, by split">
{% if pictures %}<h2>First train rows</h2>
<img src="data:image/png;base64,{{ pictures }}" alt="The first pictures and sounds of the train rows">{% endif %}
<h2>First train rows as text</h2>
<div class="scroll"><table><tbody>
{% for field in profile.fields %}<tr><th>{{ field.name }}</th>
{%- for text in field.examples %}<td>{{ text }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table></div>
</body>
</html>
"""


def page(profile: Profile, picture: bytes) -> str:
    """The page; every text of the data is escaped.

    Args:
        profile: The profile.
        picture: Its histograms, as a PNG.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"spark": spark, "told": told}
    by_level = {
        level: [str(suspicion) for suspicion in profile.suspicions if suspicion.level == level]
        for level in ("alarm", "note")
    }
    return environment.from_string(TEMPLATE).render(
        profile=profile,
        total=sum(profile.rows.values()),
        bounds=bounds(profile),
        alarms=by_level["alarm"],
        notes=by_level["note"],
        picture=base64.b64encode(picture).decode(),
        pictures=base64.b64encode(profile.pictures).decode(),
    )
