"""What do the demo shop's unhappy, undecided and indifferent customers write?

The form of a line is that of `praise`. `{carrier}` names who carried the parcel.
"""

from __future__ import annotations

BLAME = """
- *5 | Not good.
- *4 | Disappointed.
- *3 | Never again.
- *3 | Not what I expected.
- *2 | Not worth it.
- *2 | I can't recommend this.
- | Sorry, but this isn't for me.
- | I really wanted to like it. I don't.
- | Unfortunately I have to say I expected more from you.
- | With all due respect, this was not your best work.
- | Would not buy again.
quality- @tea *2 | Tastes of nothing, even with double the amount.
quality- @tea | More dust and stalks than leaves.
quality- @tea | Bitter and stale. The last batch was so much better.
quality- @tea | Smells of perfume, I had to throw it away.
quality- @tea | The bag wasn't sealed properly and the tea had gone limp.
quality- @tea | Not fresh, best before date was next month.
quality- price- @tea | Eleven euros for a few grey leaves? No thanks.
price- @tea | Has gone up twice within a year. I'm looking elsewhere.
price- @tea | Far too expensive for a hundred grams.
fit- @tea | Half the tin was air, I'd thought it would hold more.
quality- @coffee *2 | Burnt taste, oily beans.
quality- @coffee | Roasted four months ago. That's not fresh.
quality- @coffee | Sour and thin, we couldn't finish the bag.
quality- @coffee | I found a small stone among the beans, which cost me my grinder.
quality- @coffee | Ground far too fine, it blocks the filter.
price- @coffee | Nice, if you don't look at the bill. Much too dear.
quality- @kettles *2 | Rust on the bottom after three weeks.
quality- @kettles | Leaks at the spout.
quality- @kettles | The lid falls off when you pour. Dangerous with boiling water!
quality- @kettles | Stopped working after two months.
quality- @kettles | It's so loud that I can't hear the radio.
quality- returns- @kettles | Broke after a week, and I'm to pay the postage to send it back.
fit- @kettles | Smaller than it looks in the picture, barely three cups.
fit- @kettles | Too big for my stove.
price- quality- @kettles | A lot of money for a thin piece of tin.
price- @kettles | Saw the same kettle for fifteen euros less a week later.
quality- @cups *2 | Chipped after the second wash.
quality- @cups | The handle came off in my hand.
quality- @cups | The print is crooked and the colour isn't what's shown.
quality- @cups | Scratches on the glaze, sold as new.
quality- delivery- @cups | Arrived in pieces because somebody wrapped it in a single sheet of paper.
fit- @cups | Much smaller than I thought, more an espresso cup than a mug.
fit- @cups | Doesn't fit under any coffee machine I know.
fit- @cups | Too heavy and too wide for my hands.
price- @cups | That's a hefty price for one {noun}.
quality- @kitchen *2 | Feels cheap and flimsy.
quality- @kitchen | Came apart the first time I used it.
quality- @kitchen | The seam opened after one wash.
quality- @kitchen | Blunt out of the box.
quality- @kitchen | A chemical smell that doesn't go away.
fit- @kitchen *2 | Runs small, had to send it back.
fit- @kitchen | Doesn't fit the pot it is supposed to go with.
fit- @kitchen | Far shorter than the size chart says.
fit- @kitchen | I'd have needed the next size up. The description is of no help.
price- @kitchen | Overpriced for what it is.
quality- @sweets | Half of them were crumbs.
quality- @sweets | Stale and dry.
quality- @sweets | Tastes of palm oil and sugar.
price- @sweets | Five euros for a handful of biscuits is cheeky.
quality- @summer | Faded after a week in the sun.
quality- @summer | The strap tore on the first outing.
fit- @summer | One size fits nobody.
fit- @summer | Way too small, it hardly covers a child.
price- @summer | Twice the price you pay at the beach.
delivery- *3 | Still waiting for my order.
delivery- *3 | Took over two weeks to arrive.
delivery- *2 | Parcel arrived damaged.
delivery- *2 | Never arrived.
delivery- | Left in the rain in front of the door, the box was soaked.
delivery- | The tracking has said 'on its way' for nine days.
delivery- | Promised for Tuesday, delivered the Monday after.
delivery- | Half of the order was missing.
delivery- | The parcel was given to a neighbour I've never heard of.
delivery- | I stayed at home for two days for nothing.
delivery- | Would it be possible to actually ship what one has ordered?
delivery- | Came too late for the birthday it was meant for.
delivery- | I'm sure you do your best, but twelve days for a packet of filters is a long time.
delivery- | {carrier} again. Late again.
delivery- | {carrier} claims they tried to deliver. I was at home all day.
delivery- | {carrier} threw the parcel over the gate, two things broken.
delivery- | Please change your carrier, {carrier} can't find our street.
delivery- | The {carrier} driver didn't even ring.
delivery- | My parcel has been lying in some {carrier} depot for eleven days.
delivery- | If {carrier} delivers, I won't order any more.
delivery- | Waited nine days, {carrier} lost it, then it came back to you.
delivery- | {carrier} left it at a shop five kilometres away, and I don't drive.
delivery- | According to {carrier} I signed for it. I didn't.
delivery- | The {carrier} tracking page has not moved since last Thursday.
delivery- | Parcel squashed flat. Well done, {carrier}.
delivery- service- | Two weeks late and nobody answers my mails.
delivery- service- | Neither {carrier} nor your hotline could tell me where the parcel is.
delivery- price- | Almost five euros postage and then it takes ten days.
service- *2 | No answer to three emails.
service- | Forty minutes on hold, then the line went dead.
service- | I was told somebody would call back. Nobody did.
service- | Rude on the phone, I'm not used to that from you.
service- | The chat only sends ready-made sentences, nobody reads what you write.
service- | I don't feel taken seriously as a customer.
service- | Nobody feels responsible, I get passed on each time.
service- returns- | Still no refund after four weeks and support keeps telling me to be patient.
service- | It would be kind if someone could reply to my message of the 3rd.
service- | {name} promised me a replacement, I'm still waiting for it.
returns- *2 | Still waiting for my refund.
returns- | Return label missing, so I had to pay for the postage myself.
returns- | They refused to take it back although it was unopened.
returns- | Only got a part of the money back and no explanation.
returns- | Sending things back is made as hard as possible here.
returns- fit- @hard | Didn't fit, and the return cost me six euros.
website- *2 | The checkout threw me out three times.
website- | The picture on the site shows two pieces, you get one.
website- | My coupon wasn't accepted and the site doesn't say why.
website- | Couldn't log in, the password mail never came.
website- | The website is slow and on the phone the buttons are hidden.
website- service- | The site crashed while paying, I was charged twice and nobody helps.
price- *2 | Too expensive.
price- | The price went up overnight.
price- | Postage costs more than what I ordered.
price- | Not cheap, and not better than the cheap ones either.
price- quality- | Overpriced and badly made.
quality- *2 | Poor quality.
quality- @hard | Broken within a month.
quality- @hard | Looked used, with fingerprints and dust on it.
quality- | I wish I could say the quality was what it once was.
quality- | Not as described, and not as good as the old one.
quality- @hard | Nothing about this {noun} is well made.
quality- @hard | brocken when it came, really dissapointed
service- | Please call me at last: {phone}. I've been waiting for a week.
service- | Nobody has replied to {email} yet, I have written twice.
delivery- | Where is order {order}? It's been two weeks.
returns- | Refund for order {order} is still missing, please transfer it. Kind regards, {name}
"""

TORN = """
quality+ delivery- *2 | Lovely {noun}, but it took ages to arrive.
quality+ delivery- | Great quality, shame about the delivery.
quality+ delivery- | The {noun} itself is wonderful. {carrier} is not.
quality+ delivery- | I like it a lot, but the box looked as if it had been through a war.
quality+ delivery- | Good product, although half of the order came a week later.
quality+ price- *3 | Really good but pricey.
quality+ price- *2 | Excellent quality, but too expensive for every day.
quality+ price- @food | Delicious, but the price has got out of hand.
quality+ price- @hard | Nicely made. I just don't see why it has to cost that much.
quality+ price- | Worth giving as a present, too dear to buy for myself.
quality- price+ *2 | Cheap, but you can tell.
quality- price+ @hard | A bargain, but it feels flimsy.
quality- price+ | The price is fair, the quality sadly isn't what it was.
quality+ fit- *2 @hard | Beautiful, but smaller than I'd thought.
quality+ fit- @hard | Very well made, only it doesn't fit where I wanted it.
quality+ fit- @hard | Nice material, but runs small, so order a size up.
quality+ fit- @vessel | Love the look. The capacity is a joke though.
quality- fit+ @hard | The size is right, but there were scratches on it.
quality+ service- | I'm happy with the {noun}, less so with the support, who never answered.
quality- service+ @cups | It arrived chipped, but the replacement was sent at once. Good service.
quality- service+ | First one was faulty. Friendly people on the phone, I must say.
delivery+ quality- *2 | Fast delivery, but the quality is disappointing.
delivery+ quality- @hard | Came quickly. Broke quickly, too.
delivery+ quality- @food | Shipping was great, the taste is not.
delivery+ price- | Here in two days, but nearly five euros for postage is steep.
delivery+ fit- @hard | Quickly delivered, unfortunately far too big.
delivery- service+ | The parcel got lost, but {name} from the support team was very helpful.
delivery- service+ | Late again, though you were kind enough to refund the postage.
delivery- price+ | Good price, slow delivery.
delivery- price+ | For that price I don't mind waiting, but three weeks really is too long.
returns+ delivery- | The return was easy but the second parcel never arrived.
returns+ fit- @hard | Too small for me, but sending it back was no trouble.
returns+ quality- @vessel | It leaked. Got my money back without discussion, so that was fine.
returns- quality+ | The {noun} I kept is great. For the one I sent back I've yet to see my money.
returns- service+ | Support is friendly, but they couldn't tell me where my refund is.
service+ price- | Outstanding advice, which you also pay for.
service- delivery+ | Delivery quick as ever, but my question before buying was never answered.
service- price+ | You save money and they save on service.
website- quality+ | The shop page is a mess, the goods are excellent.
website- quality+ | It took me four attempts to pay, but the {noun} was worth the trouble.
website- delivery+ | Ordering was a pain, delivery a pleasure.
website- price+ | Good prices if you can find anything on that website.
website+ delivery- | Nice site, easy to use, yet my parcel has been on its way for ten days.
website+ quality- @hard | Looks better on the website than on my table.
website+ price- | I enjoy browsing your site, but everything has become so expensive.
quality+ quality- @tea | The first tin was superb, the second one stale.
quality+ quality- @drink | Nice smell, weak taste.
quality+ quality- @kettles | Heats up fast but the handle gets hot as well.
quality+ quality- @coffee | Great aroma, but too much acidity for me.
quality+ fit- @cups | Pretty colours but it holds next to nothing.
price+ fit- @hard | Good deal, wrong size.
quality+ delivery- price- | Good stuff, but expensive, and {carrier} took a week.
fit+ price- @hard | Fits perfectly, for that money it should.
"""

SHRUG = """
0 *8 | ok
0 *5 | It's okay.
0 *4 | Average.
0 *2 | Neither good nor bad.
0 *2 | Haven't tried it yet.
0 | It was a gift, so I can't really say.
0 | Too early to tell, will write again in a month.
0 | Ordered, paid, received.
0 | Third review request this month.
0 | Does the blue one come in green as well?
quality0 | Quality is average, as one would expect.
quality0 @tea | Tastes like tea.
quality0 @coffee | A normal coffee, nothing more and nothing less.
quality0 | Looks as in the picture.
price0 | Same price as everywhere.
price0 | Price is okay I suppose.
delivery0 | Delivered within the usual time.
delivery0 | Came on the fifth day, as announced.
fit0 @vessel | It holds about three cups.
fit0 @hard | Size as stated.
service0 | I asked a question, I got an answer.
website0 | Ordered via the app this time.
returns0 | Sent one back and kept the other.
"""

GERMAN = """
+ *4 | Alles bestens, gerne wieder.
+ *2 | Sehr zufrieden!
delivery+ *2 | Schnelle Lieferung, gut verpackt.
delivery+ | Zwei Tage nach der Bestellung war das Paket schon da.
quality+ *2 | Hervorragende Qualität, schmeckt wunderbar.
quality+ | Der Tee duftet herrlich und ist kein bisschen bitter.
quality+ price+ | Gute Qualität zum fairen Preis.
price+ | Preis und Leistung stimmen.
service+ | Sehr freundliche Beratung am Telefon.
website+ | Übersichtlicher Shop, Bestellung ging ganz einfach.
delivery- | Das Paket kam erst nach drei Wochen und war beschädigt.
delivery- | Leider ist meine Bestellung bis heute nicht angekommen.
quality- | Die Tasse hatte einen Sprung, sehr ärgerlich.
price- | Viel zu teuer für das bisschen Tee.
service- | Auf meine Mails antwortet niemand.
returns- | Ich warte noch immer auf die Erstattung.
quality+ delivery- | Schöne Kanne, aber die Lieferung hat ewig gedauert.
quality+ price- | Schmeckt gut, ist mir aber zu teuer.
0 | Noch nicht ausprobiert.
0 | Ist halt Tee.
"""
