"""What do contented customers of the demo shop write?

One phrasing a line: what it is about and how, a bar, the words. `theme+`, `theme-` and `theme0` say that
a theme is praised, blamed or only mentioned; a bare `+`, `-` or `0` judges without a theme; `@group` keeps
a phrasing to products of that group; `*n` makes it n times as common.
"""

from __future__ import annotations

PRAISE = """
+ *9 | Great!
+ *8 | ok thanks
+ *6 | Very good
+ *6 | Perfect.
+ *5 | All good.
+ *6 | Love it
+ *6 | Happy customer.
+ *5 | Super!!!
+ *5 | Would buy again.
+ *4 | As always, very satisfied.
+ *4 | Five stars.
+ *3 | Exactly what I was looking for.
+ *3 | No complaints.
+ *3 | Nothing to complain about.
+ *3 | No problems at all.
+ *2 | Not bad at all!
+ *2 | Can't fault it.
+ *2 | Couldn't be happier.
+ *2 | I wouldn't hesitate to order here again.
+ | My third order this year and I have never been disappointed.
+ | I have nothing negative to say about this shop.
+ | A lovely present, my mother was delighted.
+ | Bought it for a friend's birthday and she hasn't stopped talking about it.
+ | You won't regret it.
+ | What a find. I only wish I had come across you years ago.
+ | I was sceptical, I'm not any more.
quality+ @tea *3 | Wonderful aroma, the best {brand} I've had so far.
quality+ @tea *3 | Fresh, fragrant and not bitter even when I forget it in the pot.
quality+ @tea *2 | This is the tea I grew up with. Full flavour, no dust.
quality+ @tea *2 | Large whole leaves, you can tell the difference straight away.
quality+ @tea | Gentle, flowery and never harsh. My afternoon is saved.
quality+ @tea | Three infusions and still full of taste.
quality+ @tea | I don't usually like flavoured teas, this one I finish to the last leaf.
quality+ @tea | Tastes natural, nothing artificial about it.
quality+ @tea | Even my husband, a convinced coffee drinker, asked for a second cup.
quality+ @tea | The scent when you open the tin is worth it alone.
quality+ @tea | Not too strong and not too weak, just right for the morning.
quality+ @tea | Clear golden colour and a long finish. Excellent harvest this year.
quality+ price+ @tea | Really fresh tea at a fair price, I'll stay with this one.
quality+ price+ @tea | Better than the one I used to buy for twice the money.
price+ @tea | A hundred grams lasts me two months, so it's quite cheap in the end.
quality+ @coffee *3 | Rich crema, chocolatey, hardly any acidity. My new everyday coffee.
quality+ @coffee *2 | Freshly roasted, the date on the bag was five days old.
quality+ @coffee *2 | Smooth and well balanced, never bitter.
quality+ @coffee | Finally a decaf that doesn't taste like cardboard.
quality+ @coffee | The beans are even and shiny, no broken bits in the bag.
quality+ @coffee | I can't start the day without it.
quality+ @coffee | Fruity and clean as a filter coffee, simply delicious.
quality+ @coffee | Works in the fully automatic machine as well as in the moka pot.
quality+ price+ @coffee | For this price you won't find a better roast in town.
price+ @coffee | Good value, especially the big bag.
delivery+ quality+ @coffee | Ordered Sunday, in the cup on Wednesday, and beautifully fresh.
quality+ @kettles *3 | Boils quickly and is pleasantly quiet.
quality+ @kettles *2 | Solid, heavy base, pours without dripping.
quality+ @kettles | After a year of daily use still like new.
quality+ @kettles | The handle stays cool and the lid closes properly. Good workmanship.
quality+ @kettles | Looks beautiful on the stove and has survived our hard water so far.
quality+ @kettles | No plastic smell, not even the first time.
quality+ fit+ @kettles | Sturdy, and just the right size for the two of us.
fit+ @kettles | Holds enough for the whole breakfast table.
fit+ @kettles | Small enough for my caravan, big enough for two cups.
price+ quality+ @kettles | Not the cheapest, yet worth every cent.
price+ @kettles | Got it in the sale, a real bargain.
quality+ @cups *3 | Beautiful glaze, every piece a little different.
quality+ @cups *2 | Feels nice in the hand and keeps the tea warm for a long time.
quality+ @cups | Has been through the dishwasher forty times and not a single chip.
quality+ @cups | Lovely colours, even nicer than in the pictures.
quality+ @cups | Thin rim, good balance, somebody thought about this {noun}.
quality+ @cups | The spout doesn't drip, which is rarer than you'd think.
fit+ @cups | Finally a {noun} that takes a proper amount of tea.
fit+ @cups | The size is exactly as described and fits under my coffee machine.
fit+ quality+ @cups | Generous size and well made.
fit+ @cups | Fits the cup holder of the car without rattling.
price+ quality+ @cups | Handmade look for little money.
quality+ @kitchen *3 | Does what it should and feels as if it will last for years.
quality+ @kitchen *2 | Sturdy material, clean finish, easy to wash.
quality+ @kitchen | I use this {noun} every single day.
quality+ @kitchen | Simple, well designed, nothing to break.
quality+ @kitchen | Much better made than the one from the supermarket.
quality+ @kitchen | No loose threads, no sharp edges, no smell.
fit+ @kitchen | Fits perfectly, no need for the bigger one.
fit+ @kitchen | The length is right for me at last, and I'm quite tall.
fit+ @kitchen | The dimensions given were accurate to the millimetre.
price+ @kitchen | Costs half of what my local shop wants.
price+ quality+ @kitchen | Good quality and very reasonable.
quality+ @sweets *3 | Crumbly, buttery, gone within a day.
quality+ @sweets *2 | Delicious and not too sweet.
quality+ @sweets | My children fight over the last one.
quality+ @sweets | Tastes home made. Dangerous next to a pot of tea.
price+ @sweets | A small luxury that doesn't cost the earth.
fit+ @sweets | The packet is a sensible size for two.
quality+ @summer *3 | Good quality, it came with us to the lake all summer.
quality+ @summer | Colours haven't faded in spite of a lot of sun.
fit+ @summer | True to size and comfortable.
fit+ @summer | There's room for everything we need for a picnic.
price+ @summer | Really good value for a summer.
quality+ @summer | Light, well made, packs away to nothing.
delivery+ *6 | Fast delivery!
delivery+ *4 | Arrived within two days, well packed.
delivery+ *3 | Quick shipping, everything in one piece.
delivery+ *2 | Delivered a day earlier than promised.
delivery+ *2 | Carefully packed, not a scratch, and no plastic.
delivery+ | Ordered in the evening and the day after tomorrow it stood on my doorstep.
delivery+ | Shipping was no problem at all, even to Austria.
delivery+ | The driver rang twice and waited until I was down. Thank you!
delivery+ | Tracking was accurate to the hour.
delivery+ | I have never had to wait longer than three days for a parcel from you.
delivery+ | The box was dented but nothing inside had suffered, because it was packed so well.
delivery+ | {carrier} brought it on a Saturday morning, great.
delivery+ | Came in time for Mother's Day although I had ordered late.
delivery+ quality+ *2 | Quick delivery and a lovely {noun}.
delivery+ quality+ | Here in no time and the quality is first class.
delivery+ price+ | Cheap postage, and it still came in two days.
delivery+ service+ | Speedy delivery and a handwritten note in the box. That's how it should be.
service+ *3 | Friendly and quick answer to my question.
service+ *2 | Excellent customer service!
service+ @hard | I had chosen the wrong size and they changed the order within ten minutes.
service+ | One cup was broken, a new one was sent without any fuss.
service+ | On the phone they took the time to explain which filter I need.
service+ | Great advice, I would never have found this one by myself.
service+ | {name} from the support team was a star.
service+ | Thanks to {name} who sorted out my mix-up with the address.
service+ | They didn't argue, they simply helped.
service+ | A real person answered my mail on a Sunday.
service+ delivery+ | Parcel got lost, support sent another the same day. Top.
service+ returns+ | Sent one back, money was there after three days and the lady on the phone was charming.
returns+ *2 | Returning it was easy, refund within the week.
returns+ | Exchange went smoothly, label was in the box.
returns+ | Changed my mind, no questions asked, money back.
returns+ | The refund came faster than I'd expected.
returns+ fit+ @hard | Swapped it for the larger one without trouble and that fits.
website+ *2 | Easy to order, clear website.
website+ | Clear pictures and honest descriptions on the site.
website+ | Checkout took less than a minute.
website+ | The brewing guide on the product page is really helpful.
website+ | Ordering by phone screen works without a hitch.
website+ delivery+ | Ordering was simple and it came quickly.
website+ service+ | The chat on the website answered at once.
price+ *3 | Good value for money.
price+ *2 | Great price!
price+ | With the coupon it was hardly more than in the supermarket.
price+ | You get a lot for your money here.
price+ | I compared for an evening and nobody was cheaper.
price+ | Fair prices, no tricks with the postage.
quality+ *3 | Top quality.
quality+ *2 | High quality, I'm impressed.
quality+ | Exactly as described, and it shows that somebody cares about quality.
quality+ @hard | Well made, definately recommend.
quality+ | Even better than I had hoped.
quality+ | There's nothing I'd change about this {noun}.
quality+ price+ | Cheap it isn't, but good it is, and that's what I wanted.
quality+ price+ *2 | Great quality for the price.
quality+ delivery+ service+ | Quality, delivery, service: everything as it should be.
+ | Recieved it yesterday, already in love.
+ | thank you so much, wil order again soon
+ | Greetings from {name}, keep up the good work!
+ | If you have questions about how I use it, write to me: {email}
service+ | Order {order} was corrected at once, thank you.
delivery+ | Order {order} arrived today. Everything fine.
service+ | You called me back on {phone} within the hour, I'm impressed.
"""
